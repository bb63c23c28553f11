// A link to a place on its own page goes there, and so does the focus: the router moves neither.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href*='#']");
  const place = link && document.getElementById(link.hash.slice(1));
  if (!place || link.pathname !== location.pathname) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  place.focus();
}, true);
