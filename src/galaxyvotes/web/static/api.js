// What the server says; an error is the sentence that it answers with.

export async function get(address, signal) {
  return answered(await fetch(address, { signal }));
}

export async function send(address, body, method = "POST") {
  const options = { method };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  return answered(await fetch(address, options));
}

async function answered(response) {
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(found.error || `the server answered ${response.status}`);
  return found;
}

export const pictureOf = (id, kind = "thumbnail") => `galaxies/${encodeURIComponent(id)}/${kind}`;
