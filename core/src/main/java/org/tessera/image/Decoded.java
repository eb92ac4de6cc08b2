package org.tessera.image;

import java.util.Optional;
import org.tessera.api.Image;

/**
 * What a decoder gives.
 *
 * @param picture its pixels as they are stored
 * @param exif its EXIF block, from the TIFF header on; absent where there is none
 */
@SuppressWarnings("ArrayRecordComponent") // Handed from decoder to caller, never compared.
record Decoded(Image.Rgb picture, Optional<byte[]> exif) {}
