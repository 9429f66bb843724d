// What a pack buys, told in the model that is chosen. Without this file it is told in the usual one.
(() => {
  const group = document.querySelector("[data-estimate]");
  if (!group) return;
  const words = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3, maximumFractionDigits: 0, roundingPriority: "lessPrecision" });

  const tell = () => {
    const chosen = group.querySelector(":checked");
    document.querySelectorAll("[data-grant]").forEach((number) => {
      const turns = Number(number.dataset.grant) / Number(chosen.value);
      number.textContent = words.format(turns);
    });
    document.querySelectorAll("[data-model]").forEach((name) => {
      name.textContent = chosen.dataset.name;
    });
  };

  group.addEventListener("change", tell);
  tell(); // a browser that goes back keeps the choice, not the numbers
})();
