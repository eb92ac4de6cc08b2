/** Text to token ids and back: Qwen2's byte-level byte-pair encoding, exact and bounded. */
@NullMarked
package org.tessera.text;

import org.jspecify.annotations.NullMarked;
