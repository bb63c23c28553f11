// Seconds until a moment of the server's clock. In a shadow root, out of React's way.
{
  customElements.define("otp-countdown", class extends HTMLElement {
    static observedAttributes = ["until", "clock"];
    attributeChangedCallback() {
      this.ahead = Date.now() - Number(this.getAttribute("clock"));
      this.tick();
    }
    connectedCallback() {
      this.text ??= this.attachShadow({ mode: "open" });
      this.timer = setInterval(() => this.tick(), 1000);
      this.tick();
    }
    disconnectedCallback() { clearInterval(this.timer); }
    tick() {
      if (!this.text) return;
      const left = Math.ceil((Number(this.getAttribute("until")) - Date.now() + this.ahead) / 1000);
      this.text.textContent = left > 0 ? say(this.getAttribute("words"), { seconds: left }) : "";
    }
  });
}
