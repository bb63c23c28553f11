// Restores the input of a form when its page is shown again. The input is kept in memory only: no
// storage and no request has it.
{
  const typed = {};
  customElements.define("otp-keep", class extends HTMLElement {
    connectedCallback() {
      const form = this.closest("form");
      for (const [name, value] of Object.entries(typed)) {
        const field = form.elements.namedItem(name);
        if (field) field.value = value;
      }
      form.addEventListener("input", () => {
        for (const [name, value] of new FormData(form)) typed[name] = value;
      });
    }
  });
  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-forget]")) return;
    for (const name of Object.keys(typed)) delete typed[name];
  }, true);
}
