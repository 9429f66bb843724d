// Shows the API's description by Swagger UI, with nothing from elsewhere, in the theme of the page.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const followTheme = () => {
    const theme = root.dataset.theme || (system.matches ? "dark" : "light");
    root.classList.toggle("dark-mode", theme === "dark");
  };
  followTheme();
  system.addEventListener("change", followTheme);
  new MutationObserver(followTheme).observe(root, { attributeFilter: ["data-theme"] });

  const place = document.getElementById("api-docs");
  SwaggerUIBundle({
    url: place.dataset.schema,
    domNode: place,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    persistAuthorization: false,
    validatorUrl: null,
    displayRequestDuration: true,
    requestInterceptor: (request) => ({ ...request, credentials: "omit" }),
  });
})();
