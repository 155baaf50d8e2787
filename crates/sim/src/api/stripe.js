// A stand-in for Stripe.js: asks the person what the bank would have shown, and tells the
// simulator. It knows the one call that a relink page makes.
(() => {
  const base = new URL(document.currentScript.src).origin;

  function ask() {
    return new Promise((resolve) => {
      const dialog = document.createElement("dialog");
      dialog.setAttribute("aria-label", "Simulated bank");
      const text = document.createElement("p");
      text.textContent = "This is the simulated bank. How does the relink go?";
      dialog.append(text);
      for (const [outcome, label] of [
        ["succeeded", "Relink"],
        ["no_authorization", "Fail to log in"],
        ["no_account", "Choose no account"],
        ["cancelled", "Cancel"],
      ]) {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.outcome = outcome;
        button.textContent = label;
        button.addEventListener("click", () => {
          dialog.remove();
          resolve(outcome);
        });
        dialog.append(button);
      }
      dialog.addEventListener("cancel", () => {
        dialog.remove();
        resolve("cancelled");
      });
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  async function collectFinancialConnectionsAccounts({ clientSecret }) {
    const outcome = await ask();
    const answer = await fetch(`${base}/v3/sessions/finish`, {
      method: "POST",
      // Plain text needs no preflight.
      headers: { "Content-Type": "text/plain" },
      body: JSON.stringify({ client_secret: clientSecret, outcome }),
    });
    const body = await answer.json();
    return answer.ok ? { financialConnectionsSession: body } : { error: { message: body.error } };
  }

  window.Stripe = () => ({ collectFinancialConnectionsAccounts });
})();
