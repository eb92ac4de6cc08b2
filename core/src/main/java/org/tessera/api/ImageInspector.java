package org.tessera.api;

import java.nio.file.Path;
import org.tessera.config.CheckpointConfig;
import org.tessera.image.ImageDecoder;
import org.tessera.image.ImageLimits;
import org.tessera.image.ImageProcessor;
import org.tessera.image.ProcessedImage;
import org.tessera.model.Architectures;
import org.tessera.prompt.Prompt;
import org.tessera.prompt.PromptBuilder;
import org.tessera.text.Tokenizer;

/**
 * Shows what a model makes of pictures before it looks at them. Reads a checkpoint's configuration
 * and tokenizer, never its weights. For any number of threads.
 */
public final class ImageInspector {
  private final ImageProcessor processor;
  private final int maxSliceNums;
  private final PromptBuilder promptBuilder;
  private final Tokenizer tokenizer;

  private ImageInspector(CheckpointConfig config, Tokenizer tokenizer) {
    this.processor = ImageProcessor.of(config.preprocessor());
    this.maxSliceNums = config.preprocessor().maxSliceNums();
    this.promptBuilder = PromptBuilder.of(tokenizer, config);
    this.tokenizer = tokenizer;
  }

  /**
   * @throws org.tessera.error.CheckpointException where the configuration or the tokenizer cannot
   *     be used
   */
  public static ImageInspector open(Path checkpoint) {
    CheckpointConfig config = CheckpointConfig.read(checkpoint, Architectures.builtIn().names());
    return new ImageInspector(config, Tokenizer.load(checkpoint));
  }

  /**
   * Decodes, resizes and cuts a picture as {@link Tessera#chat} would.
   *
   * @throws org.tessera.error.ImageException where the picture cannot be read
   */
  public Inspection inspect(Image picture, InputOptions options) {
    Image.Rgb rgb = ImageDecoder.decode(picture, ImageLimits.defaults(), options.applyExif());
    ProcessedImage image = processor.process(rgb, options.maxSliceNums().orElse(maxSliceNums));
    Prompt prompt = promptBuilder.placeholder(image.plan().grid(), options);
    return new Inspection(
        picture.name(),
        image,
        tokenizer.decode(prompt.tokenIds(), /* skipSpecialTokens= */ false),
        prompt.imageTokens());
  }
}
