// A stand-in for Stripe.js: asks the person what the bank would have shown, and tells the
// simulator. It knows the one call that a relink page makes.
(() => {
  const base = new URL(document.currentScript.src).origin;

  async function call(what, body) {
    const answer = await fetch(`${base}/v3/sessions/${what}`, {
      method: "POST",
      // Plain text needs no preflight.
      headers: { "Content-Type": "text/plain" },
      body: JSON.stringify(body),
    });
    return { ok: answer.ok, body: await answer.json() };
  }

  function ask({ question, choices }) {
    return new Promise((resolve) => {
      const dialog = document.createElement("dialog");
      dialog.setAttribute("aria-label", "Simulated bank");
      const text = document.createElement("p");
      text.textContent = question;
      const buttons = document.createElement("div");
      Object.assign(buttons.style, { display: "grid", gap: "0.5rem" });
      const choose = (choice) => {
        dialog.remove();
        resolve(choice);
      };
      for (const { outcome, institution, label } of choices) {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.outcome = outcome;
        if (institution) button.dataset.institution = institution;
        button.textContent = label;
        button.addEventListener("click", () => choose({ outcome, institution }));
        buttons.append(button);
      }
      dialog.append(text, buttons);
      dialog.addEventListener("cancel", () => choose({ outcome: "cancelled" }));
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  async function collectFinancialConnectionsAccounts({ clientSecret }) {
    const offer = await call("offer", { client_secret: clientSecret });
    if (!offer.ok) return { error: { message: offer.body.error } };
    const choice = await ask(offer.body);
    const { ok, body } = await call("finish", { client_secret: clientSecret, ...choice });
    return ok ? { financialConnectionsSession: body } : { error: { message: body.error } };
  }

  window.Stripe = () => ({ collectFinancialConnectionsAccounts });
})();
