// Sends the person's time zone to the server by a cookie, because the server writes all times.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  document.cookie = `tz=${zone};path=/;max-age=31536000;samesite=lax`;
}
