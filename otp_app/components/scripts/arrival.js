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
      const place = problem ?? this.nextElementSibling;
      if (place) place.focus();
      // On a slow line, the heading may not have arrived.
      else if (this.isConnected) requestAnimationFrame(() => this.focusHeading());
    }
  });
}
