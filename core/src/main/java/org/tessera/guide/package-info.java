/**
 * Structured output: regular expressions, JSON and JSON Schema as automata over bytes, and from
 * them the tokens that may come next. Knows the tokenizer's bytes, no model and no engine.
 */
@NullMarked
package org.tessera.guide;

import org.jspecify.annotations.NullMarked;
