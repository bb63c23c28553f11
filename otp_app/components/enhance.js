/* What HTML cannot do by itself. Inlined in the head: it must be there before the first submit. */
(() => {
  // Clock times are written by the server, in the person's own zone.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  document.cookie = `tz=${zone};path=/;max-age=31536000;samesite=lax`;

  // A form sent before the page is live waits for it: sent by the browser itself it would reload
  // the page and lose what was typed. When the page does not come alive, the plain post goes out.
  const GIVE_UP = 10000; // ms
  const waiting = new WeakSet();
  const isLive = (form) => form.dataset.live === "true";
  const sendWhenLive = (form, submitter) => {
    const started = Date.now();
    const timer = setInterval(() => {
      if (isLive(form)) form.requestSubmit(submitter);
      else if (form.isConnected && Date.now() - started < GIVE_UP) return;
      else if (form.isConnected) form.submit();
      clearInterval(timer);
      waiting.delete(form);
    }, 50);
  };
  addEventListener("submit", (event) => {
    const form = event.target;
    if (!("live" in form.dataset) || isLive(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (waiting.has(form)) return;
    waiting.add(form);
    sendWhenLive(form, event.submitter);
  }, true);

  // A page that takes another one's place says so: the focus goes to its heading, or to what is wrong.
  let arrived = false;
  customElements.define("otp-arrival", class extends HTMLElement {
    connectedCallback() {
      if (arrived) requestAnimationFrame(() => this.focusHeading());
      arrived = true;
    }
    focusHeading() {
      const problem = document.querySelector("#problem:has([role=alert])");
      (problem ?? this.nextElementSibling)?.focus();
    }
  });

  // What was typed comes back with its page, from memory: it is in no storage and no request.
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

  // A form that needs nobody to send it, but can be sent by hand where this does not run.
  customElements.define("otp-go", class extends HTMLElement {
    connectedCallback() { requestAnimationFrame(() => this.closest("form")?.requestSubmit()); }
  });

  // What comes by itself is asked for now and then, by a button that nobody else presses.
  customElements.define("otp-watch", class extends HTMLElement {
    connectedCallback() {
      this.timer = setInterval(() => this.ask(), Number(this.getAttribute("every")));
    }
    disconnectedCallback() { clearInterval(this.timer); }
    ask() {
      if (document.visibilityState === "visible") this.querySelector("button")?.click();
    }
  });

  // Seconds until a moment of the server's clock. In a shadow root, out of React's way.
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
})();
