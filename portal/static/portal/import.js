// Hands a key over to clients, in this browser alone: it is read from the page that has just shown
// it, remembered by this tab, put into links and examples here, and never sent to us.
(() => {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const json = (value) => encodeURIComponent(JSON.stringify(value));
  const query = (values) =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join("&");
  const id = (base) => new URL(base).hostname;

  // What each client reads. `base` is a relay address without /v1, `name` the shop's.
  const links = {
    nextchat: ({ key, base, host }) => `${host}/#/?settings=${json({ key, url: base })}`,
    lobechat: ({ key, base, host }) =>
      `${host}/?settings=${json({ keyVaults: { openai: { apiKey: key, baseURL: `${base}/v1` } } })}`,
    // Cherry Studio reads + and / in the address as they are.
    "cherry-studio": ({ key, base, name }) =>
      "cherrystudio://providers/api-keys?v=1&data=" +
      base64(JSON.stringify({ id: id(base), baseUrl: base, apiKey: key, name, type: "openai" })),
    chatbox: ({ key, base, name }) => {
      const settings = { apiHost: base, apiKey: key };
      const config = { isCustom: true, id: id(base), name, type: "openai", settings };
      return `chatbox://provider/import?config=${encodeURIComponent(base64(JSON.stringify(config)))}`;
    },
    ama: ({ key, base }) => `ama://set-api-key?${query({ server: base, key })}`,
    opencat: ({ key, base }) => `opencat://team/join?${query({ domain: base, token: key })}`,
    ccswitch: ({ key, base, name, app, model }) =>
      "ccswitch://v1/import?" +
      query({ resource: "provider", app, name, homepage: base, endpoint: base, apiKey: key, model }),
  };
  const hosts = { nextchat: "https://app.nextchat.dev", lobechat: "https://lobechat.com" };

  /** Returns the link that sets a client up, in the form that the client documents. */
  const importLink = (client, settings) => links[client]({ host: hosts[client], ...settings });
  globalThis.importLink = importLink;

  const store = {
    read(name) {
      try {
        return sessionStorage.getItem(name);
      } catch {
        return null; // storage is refused: the key is only where it was shown
      }
    },
    write(name, value) {
      try {
        sessionStorage.setItem(name, value);
      } catch {
        // as above
      }
    },
    remove(name) {
      try {
        sessionStorage.removeItem(name);
      } catch {
        // as above
      }
    },
  };

  const all = (selector, within = document) => within.querySelectorAll(selector);
  const mask = (key) => `${key.slice(0, 7)}***${key.slice(-4)}`;

  const fillLinks = (block, key) => {
    const settings = { key, base: block.dataset.base, name: block.dataset.name };
    all("a[data-client]", block).forEach((link) => {
      link.href = importLink(link.dataset.client, settings);
      const word = link.querySelector("span");
      if (word && link.dataset.opens) word.textContent = link.dataset.opens;
      if (link.protocol === "https:") link.target = "_blank";
    });
  };

  const fillKey = (key) => {
    all("[data-key-mask]").forEach((element) => {
      element.textContent = mask(key);
      element.hidden = false;
    });
    all("[data-key-dots]").forEach((element) => {
      element.textContent = `••••••••••••••••••••${key.slice(-4)}`;
    });
    all("[data-fill-key]").forEach((element) => (element.textContent = key));
    all("[data-with-key]").forEach((element) => {
      element.hidden = false;
      const copy = element.querySelector('.copy[data-copy=""]');
      if (copy) copy.dataset.copy = key;
    });
    all("[data-without-key]").forEach((element) => (element.hidden = true));
    all("[data-import]").forEach((block) => fillLinks(block, key));
  };

  const fillBase = (base, key) => {
    all("[data-fill]").forEach((element) => (element.textContent = base + element.dataset.suffix));
    all("[data-import]").forEach((block) => {
      block.dataset.base = base;
      if (key) fillLinks(block, key);
    });
  };

  const start = () => {
    const shown = document.querySelector("[data-revealed-key]");
    if (shown) store.write("key", shown.textContent.trim());
    const key = store.read("key");

    const choice = document.querySelector("[data-line-choice]");
    if (choice) {
      const fastest = store.read("line");
      if ([...choice.options].some((option) => option.value === fastest)) choice.value = fastest;
      fillBase(choice.value, key);
      choice.addEventListener("change", () => {
        store.write("line", choice.value);
        fillBase(choice.value, key);
      });
    }
    if (key) fillKey(key);

    document.addEventListener("click", (event) => {
      if (!event.target.closest("[data-forget-key]")) return;
      store.remove("key");
      location.reload();
    });
    all("select[data-go]").forEach((select) =>
      select.addEventListener("change", () => select.form.requestSubmit()),
    );
  };

  if (typeof document !== "undefined") start();
})();
