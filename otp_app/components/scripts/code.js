// Submits a complete code once. The field's hint announces this. The browser may also read the code
// from a text message that names our domain: https://wicg.github.io/web-otp/
{
  // Unicode has the ten digits of every script in one run from zero to nine.
  const inAscii = (digit) => {
    let value = 0;
    while (/\p{Nd}/u.test(String.fromCodePoint(digit.codePointAt() - value - 1))) value++;
    return value % 10;
  };
  // Reads a code by the same rules as `parse_code` on the server.
  const read = (text, length) => {
    const plain = text.replace(/\p{Cf}/gu, "").replace(/\p{Nd}/gu, inAscii);
    const standing = new Set(plain.match(/\d+/g)?.filter((run) => run.length === length));
    const code = standing.size === 1 ? [...standing][0] : plain.replace(/\D/g, "");
    return code.length === length && code;
  };
  customElements.define("otp-code", class extends HTMLElement {
    static observedAttributes = ["length", "answered"];
    sent = new Set();
    connectedCallback() {
      this.form = this.closest("form");
      this.field = this.form.elements.code;
      const on = (name, listener) => this.form.addEventListener(name, listener);
      on("input", (event) => event.isComposing || this.typed());
      on("compositionend", () => this.typed());
      on("submit", () => this.leaves());
      on("focusin", ({ target }) => target.ariaInvalid === "true" && setTimeout(() => target.select()));
      if (window.OTPCredential) this.receive();
    }
    disconnectedCallback() { this.waiting?.abort(); }
    attributeChangedCallback() { queueMicrotask(() => this.go()); }
    get code() { return read(this.field.value, Number(this.getAttribute("length"))); }
    typed() {
      this.next = this.code;
      this.go();
    }
    go() {
      // A code that was typed during a check is sent after the response to that check.
      if (this.next && this.next === this.code && !this.sent.has(this.next)) this.form.requestSubmit();
    }
    leaves() {
      this.sent.add(this.code);
      this.waiting?.abort();
    }
    async receive() {
      this.waiting = new AbortController();
      const { signal } = this.waiting;
      try {
        const { code } = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal });
        this.field.value = code;
        this.typed();
      } catch {} // no message came, or the person declined
    }
  });
}
