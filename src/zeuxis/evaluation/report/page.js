const sheet = document.querySelector(".guess");
if (sheet) {
  const tiles = [...sheet.querySelectorAll("button")];
  const say = document.querySelector("#found");
  const real = tiles.filter((tile) => tile.dataset.real !== undefined).length;
  const picked = () => tiles.filter((tile) => tile.getAttribute("aria-pressed") === "true");
  const count = () => { say.textContent = `${picked().length} of ${real} picked`; };
  tiles.forEach((tile) => tile.addEventListener("click", () => {
    if (sheet.classList.contains("open")) return;
    tile.setAttribute("aria-pressed", String(tile.getAttribute("aria-pressed") !== "true"));
    count();
  }));
  document.querySelector("#reveal").addEventListener("click", (event) => {
    const open = sheet.classList.toggle("open");
    event.target.textContent = open ? "Hide again" : "Reveal the real ones";
    const mine = picked();
    const hits = mine.filter((tile) => tile.dataset.real !== undefined).length;
    const luck = (mine.length * real / tiles.length).toFixed(1);
    if (!open) count();
    else if (mine.length) say.textContent = `${hits} of your ${mine.length} picks are real; blind guessing finds ${luck}`;
    else say.textContent = "outlined: the real ones";
  });
}
