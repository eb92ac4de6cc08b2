package org.tessera.image;

import org.tessera.api.Image;

/** One picture that the vision tower sees: its pixels and how many patches they make. */
public record ProcessedSlice(Image.Rgb pixels, PatchGrid grid) {}
