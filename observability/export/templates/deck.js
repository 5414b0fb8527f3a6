(() => {
  const slides = [...document.querySelectorAll(".slide")];
  const place = document.getElementById("place"), timer = document.getElementById("timer");
  const MEETING = 30 * 60;
  let shown = 0, seconds = 0, ticking = null;
  const two = (number) => String(number).padStart(2, "0");
  const minutes = (length) => `${two(Math.floor(length / 60))}:${two(length % 60)}`;
  const show = (number) => {
    shown = Math.min(Math.max(number, 0), slides.length - 1);
    slides.forEach((slide, index) => slide.classList.toggle("shown", index === shown));
    place.textContent = `${shown + 1} of ${slides.length}`;
    history.replaceState(null, "", `#${shown + 1}`);
    window.scrollTo(0, 0);
  };
  const tell = () => {
    timer.textContent = ticking || seconds ? `${minutes(seconds)} of ${minutes(MEETING)}${ticking ? "" : " (stopped)"}` : "T starts the timer";
    timer.classList.toggle("over", seconds > MEETING);
  };
  const toggleTimer = () => {
    if (ticking) { clearInterval(ticking); ticking = null; }
    else {
      const began = Date.now() - seconds * 1000;
      ticking = setInterval(() => { seconds = Math.floor((Date.now() - began) / 1000); tell(); }, 250);
    }
    tell();
  };
  const full = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
  const keys = {
    ArrowRight: () => show(shown + 1), PageDown: () => show(shown + 1), " ": () => show(shown + 1),
    ArrowLeft: () => show(shown - 1), PageUp: () => show(shown - 1), Home: () => show(0), End: () => show(slides.length - 1),
    n: () => document.body.classList.toggle("explained"), t: toggleTimer, f: full,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (does) { event.preventDefault(); does(); }
  });
  let from = null;
  document.addEventListener("touchstart", (event) => { from = event.changedTouches[0].clientX; }, { passive: true });
  document.addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - from;
    if (Math.abs(moved) > 60) show(shown + (moved < 0 ? 1 : -1));
  });
  document.body.classList.add("moving");
  show(Number(location.hash.slice(1)) - 1 || 0);
  tell();
})();
