// A form that needs nobody to send it, but can be sent by hand where this does not run.
{
  customElements.define("otp-go", class extends HTMLElement {
    connectedCallback() { requestAnimationFrame(() => this.closest("form")?.requestSubmit()); }
  });
}
