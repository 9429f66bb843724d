// The checkout's receipt follows what is chosen. Sums come from the server, which wrote them all.
(() => {
  const form = document.querySelector("[data-checkout]");
  const quantity = form.querySelector("#quantity");
  const button = form.querySelector("[data-pay]");

  const follow = () => {
    const tops = form.querySelector("[name=to][value=top_up]")?.checked;
    const option = tops ? quantity?.options[0] : quantity?.selectedOptions[0];
    if (option) {
      form.querySelectorAll("[data-total]:not(option)").forEach((place) => {
        place.textContent = option.dataset.total;
      });
      form.querySelector("[data-quantity]").textContent = option.value;
    }
    const method = form.querySelector("[name=payment]:checked")?.dataset.name;
    if (button && method) {
      const total = form.querySelector(".total [data-total]").textContent;
      button.textContent = button.dataset.words.replace("{total}", total).replace("{method}", method);
    }
  };

  // A second press while the first is on its way would only be the same order again.
  form.addEventListener("submit", () => {
    const pressed = form.querySelector("button.primary");
    if (pressed) setTimeout(() => { pressed.disabled = true; });
  });
  addEventListener("pageshow", () => {
    const pressed = form.querySelector("button.primary");
    if (pressed) pressed.disabled = false;
    follow();
  });
  form.addEventListener("change", follow);
  follow();
})();
