// Times play the recording from there; the line that is spoken is marked.
for (const article of document.querySelectorAll("article")) {
  const audio = article.querySelector("audio");
  if (!audio) continue;
  const position = article.querySelector(".timeline s");
  const lines = [...article.querySelectorAll(".line")].map((element) => ({
    element,
    start: Number(element.querySelector("button").dataset.start),
    end: Number(element.dataset.end),
  }));
  let current = null;
  article.addEventListener("click", (event) => {
    const target = event.target.closest("[data-start]");
    if (!target) return;
    audio.currentTime = Number(target.dataset.start);
    audio.play();
  });
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
  });
  const mark = () => {
    const now = audio.currentTime;
    if (position && audio.duration) position.style.left = `${(100 * now) / audio.duration}%`;
    // 0.05 s: a player may stop just before the position that it was sent to
    const next = lines.findLast((line) => line.start <= now + 0.05 && now < line.end);
    if (next === current) return;
    current?.element.removeAttribute("aria-current");
    next?.element.setAttribute("aria-current", "true");
    current = next ?? null;
  };
  audio.addEventListener("timeupdate", mark);
  audio.addEventListener("seeking", mark);
}
