/* Shows the time left until a moment of the server's clock. The text is in a shadow root, so that
   React does not overwrite it. */
import { t } from "$/public/components";

const HEARD = [0, 10, 30, 60]; // seconds left; screen readers announce these and the start
const APART = 1000; // ms by which the browser's two clocks may differ
globalThis.customElements?.define("otp-countdown", class extends HTMLElement {
  static observedAttributes = ["until", "clock"];
  connectedCallback() {
    if (!this.shadowRoot) {
      this.attachShadow({ mode: "open" }).innerHTML = '<span></span><span role="status" part="said"></span>';
    }
    this.timer = setInterval(() => this.tick(), 250);
    this.tick();
  }
  disconnectedCallback() { clearInterval(this.timer); }
  attributeChangedCallback(name) {
    if (name === "clock") {
      this.read = [Date.now(), performance.now()];
      this.requested = false;
    }
    queueMicrotask(() => this.tick());
  }
  number(name) { return Number(this.getAttribute(name)); }
  tick() {
    const until = this.number("until"), unit = this.number("unit");
    if (!until || !this.isConnected) return;
    const left = Math.max(0, Math.ceil((until - this.number("clock") - this.passed()) / unit));
    const text = left ? t(this.getAttribute("words"), { seconds: left, minutes: left }) : "";
    const [shown, said] = this.shadowRoot.children;
    if (shown.textContent !== text) shown.textContent = text;
    if (!this.hasAttribute("ready")) return;
    this.hold(left > 0);
    this.announce(said, left, text, until);
  }
  // Milliseconds since the server's clock was read. One of the browser's clocks can be set, and the
  // other one stops while the device sleeps. If they disagree, the server's clock is read again.
  passed() {
    const wall = Date.now() - this.read[0], steady = performance.now() - this.read[1];
    if (Math.abs(wall - steady) > APART && !this.requested) {
      this.requested = true;
      this.dispatchEvent(new CustomEvent("request"));
    }
    return Math.max(wall, steady);
  }
  // Buttons are disabled by ARIA only and can still be pressed. The server then returns the wait.
  hold(waits) {
    for (const button of document.querySelectorAll("[data-waits]")) {
      if (waits) button.setAttribute("aria-disabled", "true");
      else if (this.waits) button.removeAttribute("aria-disabled");
    }
    this.waits = waits;
  }
  announce(said, left, text, until) {
    const phase = HEARD.find((second) => left <= second) ?? Infinity;
    const starts = until !== this.last;
    if (starts ? left : phase < this.phase) said.textContent = text || this.getAttribute("ready");
    this.phase = starts ? phase : Math.min(phase, this.phase);
    this.last = until; // React would set a property `until` in place of the attribute
  }
});
