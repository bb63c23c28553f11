// Shows the phone number as the server reads it, after a pause in typing. The field keeps the text
// as it was typed. The number is in a shadow root, so that React does not overwrite it. A response
// to an earlier text is dropped.
{
  const REST = 300; // ms
  customElements.define("otp-preview", class extends HTMLElement {
    static observedAttributes = ["data-live"];
    connectedCallback() {
      this.text ??= this.attachShadow({ mode: "open" });
      this.form = this.closest("form");
      this.form.addEventListener("input", (event) => {
        this.hasChosen = event.target.name === "country";
        this.text.textContent = this.turn = "";
        this.schedule();
      });
      this.form.addEventListener("submit", () => { this.hasChosen = false; });
    }
    disconnectedCallback() { clearTimeout(this.timer); }
    attributeChangedCallback() { this.schedule(); }
    schedule() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.request(), REST);
    }
    request() {
      this.turn = `${Date.now()}`;
      if (!this.form.elements.phone.value) return;
      const detail = { ...Object.fromEntries(new FormData(this.form)), turn: this.turn };
      this.dispatchEvent(new CustomEvent("request", { detail }));
    }
    show({ country, text = this.text.textContent, turn = this.turn }) {
      if (turn !== this.turn) return;
      this.text.textContent = text;
      const named = !this.hasChosen && this.form.querySelector(`option[value="${country}"]`);
      if (named) named.selected = true;
    }
  });
}
