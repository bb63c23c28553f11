// Moves the focus when a page replaces another one: to its heading, or to its error summary. Screen
// readers announce the new page by this.
{
  let arrived = false;
  customElements.define("otp-arrival", class extends HTMLElement {
    connectedCallback() {
      if (arrived || this.hasAttribute("load")) requestAnimationFrame(() => this.focusHeading());
      arrived = true;
    }
    focusHeading() {
      const problem = document.querySelector("#problem:has([role=alert])");
      (problem ?? this.nextElementSibling)?.focus();
    }
  });
}
