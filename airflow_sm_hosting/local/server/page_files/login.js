'use strict';
// A link from another address than this one, such as Airflow's, comes without the cookie; this page's own requests have it.
fetch('/_sm_hosting/ui/api/server', { headers: { 'X-Sm-Hosting-Page': '1' } })
  .then((answer) => answer.ok && location.replace(location.href), () => {});
document.getElementById('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const error = document.getElementById('error');
  error.textContent = '';
  try {
    const answer = await fetch('/_sm_hosting/ui/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ key: document.getElementById('key').value.trim() }),
    });
    if (answer.ok) location.reload();
    else error.textContent = (await answer.json()).message;
  } catch {
    error.textContent = 'The server does not answer.';
  }
});
