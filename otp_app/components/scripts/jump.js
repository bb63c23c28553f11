// A link to a place within the page takes the focus there: React Router's links only scroll.
{
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href*='#']");
    const place = link && document.getElementById(link.hash.slice(1));
    if (!place) return;
    event.preventDefault();
    if (place.tabIndex < 0) place.tabIndex = -1; // else only fields can be focused
    place.focus();
  }, true);
}
