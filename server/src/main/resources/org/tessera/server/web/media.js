/**
 * Pictures and videos, from files to what a request holds.
 *
 * A medium is {id, kind, name, width, height, blobs}: kind "picture" with one blob, "gif" with the
 * file itself, "video" with a JPEG for each frame.
 */
import { newId } from './store.js';

/** What the server reads itself; anything else that the browser can show is drawn anew. */
const READABLE = ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/bmp'];
const MAX_PIXELS = 32_000_000;
const MAX_FRAMES = 32;
const MAX_FRAME_SIDE = 980;
const JPEG_QUALITY = 0.92;

/** Reads a file that a user gave; throws an Error whose message is for the user. */
export async function read(file) {
  if (file.type.startsWith('video/')) return readVideo(file);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read.`);
  }
  const { width, height } = bitmap;
  const animated = file.type === 'image/gif' && (await isAnimated(file));
  let blob = file;
  if (!READABLE.includes(file.type) || width * height > MAX_PIXELS) {
    const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (width * height)));
    blob = await draw(bitmap, Math.floor(width * scale), Math.floor(height * scale));
  }
  bitmap.close();
  return { id: newId(), kind: animated ? 'gif' : 'picture', name: file.name, width, height, blobs: [blob] };
}

/** More than one graphic control extension: more than one frame. */
async function isAnimated(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let frames = 0;
  for (let i = 0; i + 2 < bytes.length && frames < 2; i++) {
    if (bytes[i] === 0x21 && bytes[i + 1] === 0xf9 && bytes[i + 2] === 0x04) frames++;
  }
  return frames > 1;
}

function draw(source, width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d').drawImage(source, 0, 0, width, height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The picture is too large.'))), 'image/jpeg', JPEG_QUALITY);
  });
}

/** One frame a second, over the whole length where there are too many. */
async function readVideo(file) {
  const url = URL.createObjectURL(file);
  const video = document.createElement('video');
  video.muted = true;
  video.preload = 'auto';
  video.playsInline = true;
  try {
    video.src = url;
    await happens(video, 'loadeddata', file);
    const length = await durationOf(video, file);
    const count = Math.max(1, Math.min(MAX_FRAMES, Math.ceil(length)));
    const scale = Math.min(1, MAX_FRAME_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const width = Math.max(1, Math.round(video.videoWidth * scale));
    const height = Math.max(1, Math.round(video.videoHeight * scale));
    const blobs = [];
    for (let i = 0; i < count; i++) {
      const sought = happens(video, 'seeked', file);
      video.currentTime = ((i + 0.5) * length) / count;
      await sought;
      blobs.push(await draw(video, width, height));
    }
    return { id: newId(), kind: 'video', name: file.name, width, height, blobs };
  } finally {
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(url);
  }
}

/** Recordings of browsers say their length only after a seek past the end. */
async function durationOf(video, file) {
  if (!Number.isFinite(video.duration)) {
    const known = happens(video, 'durationchange', file);
    video.currentTime = Number.MAX_SAFE_INTEGER;
    await known;
  }
  return video.duration;
}

function happens(video, event, file) {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new Error(`${file.name} is no video that this browser can play.`));
    video.addEventListener(event, resolve, { once: true });
    video.addEventListener('error', failed, { once: true });
    setTimeout(failed, 20_000);
  });
}

/** The part of a message that this is, in OpenAI's form. */
export async function toPart(medium) {
  if (medium.kind === 'picture') {
    return { type: 'image_url', image_url: { url: await dataUrl(medium.blobs[0]) } };
  }
  const urls = await Promise.all(medium.blobs.map(dataUrl));
  if (medium.kind === 'gif') return { type: 'video_url', video_url: { url: urls[0] } };
  const frames = urls.map((url) => url.slice(url.indexOf(',') + 1));
  return { type: 'video_url', video_url: { url: `data:video/jpeg;base64,${frames.join(',')}` } };
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
