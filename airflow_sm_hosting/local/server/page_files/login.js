'use strict';
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
