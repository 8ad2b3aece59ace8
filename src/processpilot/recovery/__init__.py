"""What the steps of "complete database failure" do: look, rebuild beside, take over, resume.

Each action finds what it needs in earlier steps' results, so it works the same in the process
that began the run and in one that resumes it.
"""
