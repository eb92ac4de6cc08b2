package org.tessera.error;

import org.jspecify.annotations.Nullable;

/**
 * The root of everything that Tessera throws on purpose. The message is one sentence that names
 * what is wrong and what was expected; it never holds a prompt, a picture or a key.
 */
public abstract sealed class TesseraException extends RuntimeException
    permits CheckpointException,
        DeviceException,
        GenerationException,
        ImageException,
        InvalidRequestException,
        OverloadedException,
        PlanException {
  private static final long serialVersionUID = 1L;

  TesseraException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
