/** The OpenAI-compatible HTTP endpoint over a loaded model. */
@NullMarked
package org.tessera.server;

import org.jspecify.annotations.NullMarked;
