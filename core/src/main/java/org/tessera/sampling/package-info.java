/**
 * How the next token is chosen from a row of logits, on the host: penalties, temperature, top-k,
 * top-p and beam search under Transformers' rules, seeded for each request, and where a stop string
 * ends the text. Nothing here knows the model, the engine or a device.
 */
@NullMarked
package org.tessera.sampling;

import org.jspecify.annotations.NullMarked;
