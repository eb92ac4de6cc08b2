/**
 * The configuration files of a checkpoint directory as records that carry Hugging Face's own field
 * names. Unknown keys are ignored, missing and impossible ones are named, and what this build
 * cannot run is refused before any weight is touched.
 */
@NullMarked
package org.tessera.config;

import org.jspecify.annotations.NullMarked;
