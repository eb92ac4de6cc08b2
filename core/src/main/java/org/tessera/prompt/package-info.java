/**
 * Messages to token ids with the places of pictures. Built at token level: only the template emits
 * control tokens, text of a user never can.
 */
@NullMarked
package org.tessera.prompt;

import org.jspecify.annotations.NullMarked;
