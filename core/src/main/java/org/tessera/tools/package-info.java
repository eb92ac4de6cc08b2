/**
 * Calling functions through text: definitions into the prompt, calls out of the answer. MiniCPM-V
 * was not trained to do this; see {@link org.tessera.tools.ToolPrompt}.
 */
@NullMarked
package org.tessera.tools;

import org.jspecify.annotations.NullMarked;
