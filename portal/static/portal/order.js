// The order's page: it notices a payment, tests the key, and shows one language of code at a time.
(() => {
  const POLL_MS = 3000;
  const PATIENCE_MS = 60 * 60 * 1000;

  const watch = (line) => {
    const known = [line.dataset.status, line.dataset.delivery, line.dataset.payment].join();
    const began = Date.now();
    const look = async () => {
      if (Date.now() - began > PATIENCE_MS) return;
      if (!document.hidden) {
        const now = await fetch(line.dataset.live, { headers: { accept: "application/json" } })
          .then((answer) => (answer.ok ? answer.json() : null))
          .catch(() => null); // offline: the next look may succeed
        if (now && [now.status, now.delivery, now.payment].join() !== known) {
          if (now.delivery === "delivered") line.textContent = line.dataset.done;
          location.reload();
          return;
        }
      }
      setTimeout(look, POLL_MS);
    };
    setTimeout(look, POLL_MS);
  };

  const test = async (button) => {
    const said = document.querySelector("[data-result]");
    const say = (kind, words) => {
      said.className = `state ${kind}`;
      said.textContent = words;
      said.hidden = false;
    };
    const key = document.querySelector(button.dataset.test).textContent.trim();
    say("off", button.dataset.busy);
    const began = performance.now();
    try {
      const answer = await fetch(`${button.dataset.lines}/v1/models`, {
        headers: { authorization: `Bearer ${key}` },
        credentials: "omit",
        cache: "no-store",
      });
      const ms = Math.round(performance.now() - began);
      if (answer.ok) say("ok", button.dataset.ok.replace("{ms}", ms));
      else say("bad", button.dataset.bad.replace("{status}", answer.status));
    } catch {
      say("bad", button.dataset.away);
    }
  };

  const open = (tab) => {
    const tabs = [...tab.parentElement.children];
    tabs.forEach((one) => {
      one.setAttribute("aria-pressed", String(one === tab));
      document.getElementById(one.dataset.tab).parentElement.hidden = one !== tab;
    });
  };

  const line = document.querySelector("[data-live]");
  if (line) watch(line);
  const first = document.querySelector("[data-tab]");
  if (first) open(first);
  document.addEventListener("click", (event) => {
    const tester = event.target.closest("[data-test]");
    if (tester) test(tester);
    const tab = event.target.closest("[data-tab]");
    if (tab) open(tab);
  });
})();
