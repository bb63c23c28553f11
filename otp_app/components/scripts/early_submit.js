// Holds a form that is submitted before the page is live. A post by the browser itself would reload
// the page and lose the input. If the page is not live in time, the browser does post the form.
{
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
    document.querySelector("otp-pending")?.show(form.dataset.pending);
    sendWhenLive(form, event.submitter);
  }, true);
}
