// The form of a new key: what the key may do is said anew whenever an answer changes. The server
// says it, as it does for the button; without a script that button is all there is.
(() => {
  const form = document.querySelector("[data-key-form]");
  const side = form.querySelector("[data-rules]");
  let newest = 0;

  async function say() {
    const asked = (newest += 1);
    const body = new URLSearchParams(new FormData(form));
    body.set("preview", "1");
    if (!body.get("name")) body.set("name", "-");
    const answer = await fetch(location.href, { method: "POST", body }).catch(() => null);
    if (!answer?.ok || asked !== newest) return; // an answer that is wrong is told at the button
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (asked === newest) side.replaceChildren(...page.querySelector("[data-rules]").childNodes);
  }

  form.addEventListener("change", say);
})();
