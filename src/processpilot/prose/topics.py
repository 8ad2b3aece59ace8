"""What a section is about, by its title and by what the section above it is about."""

from __future__ import annotations

import re
from enum import StrEnum

from processpilot.prose.words import bare


class Topic(StrEnum):
    """What a section can be about; the value is the part of the plan that it becomes."""

    OBJECTIVES = "components"
    IMPACT = "impact"
    TEAM = "team.roles"
    CONTACTS = "team.contacts"
    ESCALATION = "team.escalation"
    SCENARIOS = "scenarios"
    SCENARIO = "scenario"
    SYMPTOMS = "symptoms"
    STEPS = "steps"
    PROVIDERS = "providers"
    PROCEDURES = "procedures"
    DRILLS = "drills"
    CHECKLIST = "checklist"
    FOLLOW_UPS = "follow_ups"
    VENDORS = "vendors"
    SUPPORT = "support"
    NOTHING = ""


_TITLES: tuple[tuple[Topic, str], ...] = (
    (Topic.SUPPORT, r"support (?:escalation|levels?|tiers?|slas?)|vendor support|support-?stufen|"
                    r"response (?:times?|slas?)"),
    (Topic.VENDORS, r"vendors?\b|suppliers?\b|third.part|external|service providers?|"
                    r"dienstleister|anbieter|externe|lieferanten"),
    (Topic.PROVIDERS, r"(?:by|per|each) (?:database )?provider|provider.specific|"
                      r"database providers?$"),
    (Topic.FOLLOW_UPS, r"post.?(?:incident|recovery|mortem)|after (?:the |an )?(?:incident|"
                       r"recovery)|afterwards|lessons|retrospective|follow.?ups?|nachbereitung|"
                       r"documentation updates|\breview\b|nacharbeit"),
    (Topic.CHECKLIST, r"check ?list|acceptance criteria|done when|success criteria|"
                      r"sign.?off|abnahme"),
    (Topic.DRILLS, r"\bdrills?\b|exercises?\b|rehears|game ?days?|übung|\btest(?:s|ing)?\b"),
    (Topic.ESCALATION, r"escalat|eskalation|call tree|\bpaging\b|who to wake|alarmierung"),
    (Topic.CONTACTS, r"contacts?\b|kontakte?\b|phone|telefon|ansprechpartner"),
    (Topic.TEAM, r"\bteam\b|\broles?\b|rollen|responsib|zuständig|who does|responders|\bpeople\b"),
    (Topic.OBJECTIVES, r"objectives?\b|\brto\b|\brpo\b|service level|\bslos?\b|targets?\b|"
                       r"inventory|critical (?:systems|services)|ziele\b|wiederanlauf|"
                       r"components?\b|komponenten|what (?:matters|we protect|must)|scope"),
    (Topic.IMPACT, r"impact|classification|severit|priorit(?:y|ies)|kritikalität|schweregrad"),
    (Topic.SYMPTOMS, r"^(?:symptoms?|detection|indicators?|signs|triggers?|alerts?|how (?:you|to) "
                     r"(?:notice|know|recogni[sz]e|detect)|symptome|anzeichen|erkennung|"
                     r"what you see|when to use)"),
    (Topic.PROCEDURES, r"\bquick|commands?\b|cheat|scripts?\b|automation|migrati|appendix|anhang|"
                       r"reference|befehle|snippets|how.?to|utilities"),
    (Topic.SCENARIOS, r"scenarios\b|disasters\b|playbooks|runbooks|failure modes|incident types|"
                      r"szenarien|störfälle|notfälle|recovery procedures|^procedures\b|outages\b|"
                      r"what can (?:go wrong|happen)|failures\b"),
    (Topic.STEPS, r"^(?:steps?|procedure|resolution|mitigation|remediation|recovery(?: steps| "
                  r"procedure)?|restore|response|actions?|immediate|triage|before you|"
                  r"diagnos|verif|validat|investigat|"
                  r"roll ?back|pre.?requisites?|pre-?checks?|vorgehen|schritte|maßnahmen|"
                  r"sofortmaßnahmen|prüfung)"),
    (Topic.SCENARIO, r"^scenario|^szenario|failure|outage|loss\b|\blost\b|corrupt|breach|ransom|"
                     r"\bdown\b|unavailab|crash|delet|disk full|full disk|ausfall|verlust|angriff|"
                     r"compromis|\bfails?\b|disaster|failover|kaputt|\bfire\b|\bbrand\b|flood|"
                     r"\bwasser|stromlos|power cut|weg\b|gone\b|intrusion"),
)  # fmt: skip
_PATTERNS = tuple((topic, re.compile(text, re.IGNORECASE)) for topic, text in _TITLES)
_ASIDE = re.compile(
    r"^(?:overview|introduction|purpose|about|general|background|glossary|history|changelog|"
    r"table of contents|contents|übersicht|einleitung|allgemeines|inhalt|document|version|scope|"
    r"assumptions|references?|links)\b",
    re.IGNORECASE,
)
# What may be inside a section of each topic, besides more of the same.
_INSIDE: dict[Topic, tuple[Topic, ...]] = {
    Topic.SCENARIOS: (),
    Topic.PROVIDERS: (),
    Topic.PROCEDURES: (),
    Topic.DRILLS: (Topic.CHECKLIST,),
    Topic.CHECKLIST: (),
    Topic.FOLLOW_UPS: (),
    Topic.VENDORS: (Topic.SUPPORT,),
    Topic.SUPPORT: (),
    Topic.TEAM: (Topic.ESCALATION, Topic.CONTACTS),
    Topic.CONTACTS: (Topic.SUPPORT, Topic.VENDORS, Topic.ESCALATION),
    Topic.ESCALATION: (Topic.SUPPORT, Topic.CONTACTS, Topic.TEAM),
    Topic.OBJECTIVES: (Topic.IMPACT,),
    Topic.IMPACT: (Topic.OBJECTIVES,),
}


def topic_of(title: str, above: Topic = Topic.NOTHING) -> Topic:
    """Return what a section of that title is about, inside one about `above`."""
    words = bare(title)
    if _ASIDE.match(words) and above is not Topic.SCENARIO:
        return Topic.NOTHING
    found = _by_title(words)
    if above is Topic.NOTHING:
        return found
    if found in _INSIDE.get(above, ()):
        return found
    return Topic.SCENARIO if above is Topic.SCENARIOS else above


def _by_title(words: str) -> Topic:
    if re.match(r"(?:scenario|szenario)\b\s*(?:[0-9]|[a-z]\b)?", words, re.IGNORECASE):
        return Topic.SCENARIO
    return next((topic for topic, text in _PATTERNS if text.search(words)), Topic.NOTHING)
