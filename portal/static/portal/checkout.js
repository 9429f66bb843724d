// The checkout's receipt follows what is chosen. Sums come from the server, which wrote them all.
(() => {
  const form = document.querySelector("[data-checkout]");
  const quantity = form.querySelector("#quantity");
  const button = form.querySelector("[data-pay]");

  const follow = () => {
    const tops = form.querySelector("[name=to][value=top_up]")?.checked;
    const option = tops ? quantity?.options[0] : quantity?.selectedOptions[0];
    if (option) {
      for (const sum of ["subtotal", "discount", "total"]) {
        const place = form.querySelector(`[data-${sum}]:not(option)`);
        if (place) place.textContent = option.dataset[sum];
      }
      const discounted = form.querySelector("[data-discounted]");
      if (discounted) discounted.hidden = !option.dataset.discount;
      form.querySelector("[data-quantity]").textContent = option.value;
    }
    const method = form.querySelector("[name=payment]:checked")?.dataset.name;
    if (button && method) {
      const total = form.querySelector(".total [data-total]").textContent;
      button.textContent = button.dataset.words.replace("{total}", total).replace("{method}", method);
    }
  };

  // Who presses enter in the coupon wants to see its price, not to pay already.
  form.querySelector("[data-coupon]")?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    form.querySelector("[data-apply]").click();
  });

  // A second press while the first is on its way would only be the same order again.
  form.addEventListener("submit", (event) => {
    const pressed = form.querySelector("button.primary");
    if (pressed && !event.submitter?.matches("[data-apply]")) setTimeout(() => { pressed.disabled = true; });
  });
  addEventListener("pageshow", () => {
    const pressed = form.querySelector("button.primary");
    if (pressed) pressed.disabled = false;
    follow();
  });
  form.addEventListener("change", follow);
  follow();
})();
