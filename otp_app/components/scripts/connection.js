// Shows the state of the connection in one of the element's sentences. The text is in a shadow root,
// so that React does not overwrite it.
{
  const SLOW = 10000; // ms until the page should be live; early_submit.js stops waiting then
  const STAY = 5000; // ms that the news of a restored connection is shown
  customElements.define("otp-connection", class extends HTMLElement {
    static observedAttributes = ["broken", "live"];
    connectedCallback() {
      this.text ??= this.attachShadow({ mode: "open" });
      addEventListener("offline", this);
      addEventListener("online", this);
      setTimeout(() => { this.isLate = true; this.handleEvent(); }, SLOW);
    }
    attributeChangedCallback() { this.handleEvent(); }
    handleEvent() {
      this.wasLive ||= this.hasAttribute("live");
      const what = this.trouble();
      if (what) this.say(what);
      else if (this.said && this.said !== "back") {
        this.say(this.said === "slow" ? "" : "back");
        setTimeout(() => { if (this.said === "back") this.say(""); }, STAY);
      }
    }
    trouble() {
      const isBroken = this.hasAttribute("broken");
      if (!navigator.onLine) return "offline";
      if (!this.wasLive && (isBroken || this.isLate)) return "slow";
      return isBroken && "lost";
    }
    say(what) {
      if (!this.text || what === this.said) return;
      this.said = what;
      this.text.textContent = this.getAttribute(what);
      this.toggleAttribute("said", !!what);
      const focused = document.activeElement;
      if (focused !== document.body) focused?.scrollIntoView({ block: "nearest" });
    }
  });
}
