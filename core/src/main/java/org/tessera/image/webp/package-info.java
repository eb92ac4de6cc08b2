/**
 * The two codecs of WebP still pictures, to the bit as libwebp has them: lossy (a key frame of VP8,
 * RFC 6386) and lossless (RFC 9649). Alpha is decoded where the format weaves it in, and left out.
 */
@NullMarked
package org.tessera.image.webp;

import org.jspecify.annotations.NullMarked;
