// Progressive touches only: every page reads and submits without this file.
(() => {
  const root = document.documentElement;
  const remembered = (value) => {
    try {
      return value === undefined ? localStorage.getItem("theme") : localStorage.setItem("theme", value);
    } catch {
      return null; // storage is refused: the theme lasts as long as the page
    }
  };

  root.dataset.script = "";
  const theme = remembered();
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;

  const switchTheme = () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    remembered(root.dataset.theme);
  };

  const copy = async (button) => {
    const source = button.dataset.copy;
    const text = source.startsWith("#") ? document.querySelector(source).textContent.trim() : source;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return; // not allowed here: the text can still be selected
    }
    const word = button.querySelector("span");
    const before = word.textContent;
    button.dataset.done = "";
    word.textContent = button.dataset.ok;
    setTimeout(() => {
      delete button.dataset.done;
      word.textContent = before;
    }, 1600);
  };

  const toggle = (button) => {
    const row = document.getElementById(button.dataset.toggle);
    row.hidden = !row.hidden;
    button.setAttribute("aria-expanded", String(!row.hidden));
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) switchTheme();
    if (event.target.closest("[data-print]")) print();
    const button = event.target.closest("[data-copy]:not([data-done])");
    if (button) copy(button);
    const opener = event.target.closest("[data-toggle]");
    if (opener) toggle(opener);
  });

  // What is shown once would go by unseen if a second press overtook its answer.
  document.addEventListener("submit", (event) => {
    const pressed = event.target.matches("[data-once]") && event.submitter;
    if (pressed) setTimeout(() => { pressed.disabled = true; });
  });
  addEventListener("pageshow", () => {
    document.querySelectorAll("[data-once] button:disabled").forEach((button) => { button.disabled = false; });
  });

  // A word of success goes after a while; what is wrong never stands in one.
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("body > .toast").forEach((toast) => setTimeout(() => toast.remove(), 4000));
  });
})();
