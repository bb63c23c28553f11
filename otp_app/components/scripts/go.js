// Submits a form without a click. Without this script the person can submit it by its button.
{
  customElements.define("otp-go", class extends HTMLElement {
    connectedCallback() { requestAnimationFrame(() => this.closest("form")?.requestSubmit()); }
  });
}
