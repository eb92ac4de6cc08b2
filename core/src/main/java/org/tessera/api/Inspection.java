package org.tessera.api;

import org.tessera.image.ProcessedImage;

/**
 * What the model sees of a picture.
 *
 * @param name of the picture
 * @param image the picture's size, how it was cut, and the pixels of every slice
 * @param placeholder what stands for it in a prompt, as text
 * @param placeholderTokens how many tokens of that the picture's features replace
 */
public record Inspection(
    String name, ProcessedImage image, String placeholder, int placeholderTokens) {}
