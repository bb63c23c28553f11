// A page that takes another one's place says so: the focus goes to its heading, or to what is wrong.
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
