// Clock times are written by the server, in the person's own zone.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  document.cookie = `tz=${zone};path=/;max-age=31536000;samesite=lax`;
}
