// Starts a relink on a click, lets Stripe's window run, and shows what the server says of it.
// The client secret is held by one function while it runs; it is written nowhere.
"use strict";

(() => {
  // Longer than a slow phone needs, and shorter than people wait.
  const LOAD_PATIENCE_MS = 15000;

  const main = document.querySelector("main");
  const progress = document.getElementById("progress");
  if (!main || !progress) return;
  const told = main.dataset;
  const stripe = document.getElementById("stripe");
  // This script runs first, so neither event is missed.
  const loaded = new Promise((resolve) => {
    stripe.addEventListener("load", () => resolve(true));
    stripe.addEventListener("error", () => resolve(false));
  });
  let busy = false;

  function say(text) {
    progress.textContent = text || "";
  }

  // Server-rendered and escaped there.
  function show(html) {
    say("");
    main.innerHTML = html;
    const heading = main.querySelector("h1");
    if (heading) {
      document.title = heading.textContent;
      heading.focus();
    }
  }

  function showPrepared(name) {
    show(document.getElementById(name).innerHTML);
  }

  function within(milliseconds, promise) {
    const late = new Promise((resolve) => setTimeout(() => resolve(false), milliseconds));
    return Promise.race([promise, late]);
  }

  // Names this attempt: sent again after a lost answer, it is the same attempt.
  function attempt() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function post(what, body) {
    return fetch(`${told.base}/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
  }

  async function relink() {
    say(told.opening);
    if (!(await within(LOAD_PATIENCE_MS, loaded))) {
      showPrepared("script");
      return;
    }
    const started = await post("start", { attempt: attempt() });
    if (!(started.headers.get("Content-Type") || "").startsWith("application/json")) {
      show(await started.text());
      return;
    }
    const { client_secret: clientSecret, completion } = await started.json();
    const options = told.stripeAccount ? { stripeAccount: told.stripeAccount } : undefined;
    say(told.waiting);
    try {
      await window.Stripe(told.key, options).collectFinancialConnectionsAccounts({ clientSecret });
    } catch {
      // How it went is not the browser's to say: the server asks Stripe.
    }
    say(told.checking);
    try {
      const ended = await post("complete", { completion });
      show(await ended.text());
    } catch {
      // The customer may well have relinked; Stripe tells the server by itself.
      showPrepared("returned");
    }
  }

  main.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-start]");
    if (!button || busy) return;
    busy = true;
    button.disabled = true;
    main.setAttribute("aria-busy", "true");
    try {
      await relink();
    } catch {
      showPrepared("unavailable");
    } finally {
      busy = false;
      main.removeAttribute("aria-busy");
    }
  });

  // Without this script the button would do nothing, so the page leaves that to it.
  for (const button of main.querySelectorAll("[data-start]")) button.disabled = false;
})();
