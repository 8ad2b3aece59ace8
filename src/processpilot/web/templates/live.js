const place = document.getElementById("now");
const note = document.getElementById("live");
if (place && note && window.EventSource) {
  const source = new EventSource(note.dataset.events);
  source.addEventListener("run", (event) => {
    place.innerHTML = event.data;
    note.textContent = "Live.";
  });
  source.addEventListener("end", () => {
    source.close();
    note.textContent = "The run is finished.";
  });
  source.onerror = () => {
    note.textContent = "The connection is lost; this is the last that is known. It is tried again.";
  };
}
