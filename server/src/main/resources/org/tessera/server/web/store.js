/**
 * Conversations, kept in the browser's IndexedDB and nowhere else.
 *
 * A conversation is {id, title, updated, messages}. A message is {id, role, text, media?, stats?,
 * error?, stopped?}; media are as media.js makes them, with their data as Blobs.
 */
const NAME = 'tessera';
const STORE = 'conversations';

let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      const store = request.result.createObjectStore(STORE, { keyPath: 'id' });
      store.createIndex('updated', 'updated');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function run(mode, work) {
  const transaction = (await open()).transaction(STORE, mode);
  const request = work(transaction.objectStore(STORE));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export const save = (conversation) => run('readwrite', (store) => store.put(conversation));

export const load = (id) => run('readonly', (store) => store.get(id));

export const remove = (id) => run('readwrite', (store) => store.delete(id));

export const removeAll = () => run('readwrite', (store) => store.clear());

/** {id, title, updated} of all, the newest first. */
export async function list() {
  const all = await run('readonly', (store) => store.index('updated').getAll());
  return all.reverse().map(({ id, title, updated }) => ({ id, title, updated }));
}

/** Not crypto.randomUUID, which pages without TLS on other machines lack. */
export function newId() {
  const random = crypto.getRandomValues(new Uint32Array(3));
  return Array.from(random, (n) => n.toString(36)).join('-');
}
