---@meta mohs
-- SPDX-License-Identifier: MIT
-- What `require "mohs"` returns, for editors. A test walks the live module
-- and fails on anything missing here.

---@class mohs
---@field version string version of the program
---@field api string version of this API, "major.minor"
---@field data mohs.readers
---@field corruptions table<string, string[]> named sets: common, extra, c_bar, three_d, text, quick
local mohs = {}

---@class mohs.Data
---@field images integer
---@field texts integer
---@field classes integer
---@field name string

---@class mohs.Prompts
---@field name string as results call them
---@field merge "embed"|"mean"|"max"
---@field text string templates one a line, or the file and its hash

---@class mohs.Model
---@field label string
---@field weights string path
---@field plugin string id of the model plugin
---@field embed_dim integer
---@field image_size integer pixels
---@field classifier boolean its outputs are classes; it takes no prompts
---@field taps string[] places that can be read or perturbed

---@class mohs.Item
---@field kind "corruption"|"attack"|"metric"
---@field id string
---@field params table<string, any>
---@field severity integer? 1..5
local item = {}
---The same corruption at a severity.
---@param severity integer 1..5
---@return mohs.Item
function item:at(severity) end

---@class mohs.Value
---@field value number
---@field low number? lower end of the 95 % interval
---@field high number?
---@field unit string

---@class mohs.Result
---@field model string
---@field data string
---@field metric string
---@field prompt string? name of the prompts
---@field corruption string?
---@field severity string?
---@field attack string?
---@field attack_params string? parameters that differ from their defaults
---@field values table<string, mohs.Value>

---@class mohs.readers
mohs.data = {}
---COCO captions JSON. limit: the first so many images; captions_per_image: the
---first so many captions; 0: all. depth: a folder of depth maps, .npy or .png,
---named as the pictures are.
---@param o { images: string, captions: string, depth?: string, name?: string, limit?: integer, captions_per_image?: integer }
---@return mohs.Data
function mohs.data.coco(o) end
---Karpathy's splits: dataset_flickr30k.json, dataset_coco.json. `images` holds
---filepath/filename, or filename alone; `split` is "test".
---@param o { images: string, captions: string, split?: string, name?: string, limit?: integer, captions_per_image?: integer }
---@return mohs.Data
function mohs.data.karpathy(o) end
---A CSV or TSV file, a row a picture with its caption or label; rows of equal
---picture are its captions. Columns by name, or by number from 1: `image` is
---filepath, file_name, image or path; `text` title, caption or text; `label` label
---or class. The separator is a tab if the first line has one, else a comma.
---@param o { file: string, images?: string, separator?: string, header?: boolean, quotes?: boolean, image?: string, text?: string, label?: string, name?: string, limit?: integer, captions_per_image?: integer }
---@return mohs.Data
function mohs.data.csv(o) end
---Parquet files of Hugging Face's datasets package: a file, or those of a folder
---(of one `split`, if it is given: SPLIT-00000-of-00001.parquet). Pictures are bytes
---or a struct with bytes, captions a text or a list of texts, labels integers or
---texts; columns by name, else the usual names. Pictures are read page by page.
---@param o { path: string, split?: string, image?: string, text?: string, label?: string, name?: string, limit?: integer, captions_per_image?: integer }
---@return mohs.Data
function mohs.data.parquet(o) end
---Embeddings of a model that need not be here: FILE.npy, FILE.safetensors or
---FILE.safetensors:TENSOR. With `label` (one an image, -1: none) texts are classes; else
---text t describes image owner[t], or equally many texts of each image follow each
---other. Cells of them take no model; `model` is what results call it.
---@param o { image: string, text: string, owner?: string, label?: string, model?: string, name?: string, logit_scale?: number, logit_bias?: number }
---@return mohs.Data
function mohs.data.embeddings(o) end
---webdataset archives, DIR/SPLIT/*.tar, DIR/*.tar or one .tar, in CLIP-benchmark's layout if
---there are nshards.txt, classnames.txt and dataset_type.txt. Pictures are read in
---place; the index of an archive is kept in the cache directory.
---@param o { dir: string, split?: string, name?: string, limit?: integer, captions_per_image?: integer }
---@return mohs.Data
function mohs.data.webdataset(o) end
---A folder of class folders. classes: file of class names (a name a line; a
---folder name, a tab and a name; a WordNet id, a blank and a name; or JSON);
---without it classnames.txt in dir, or the folder names. all_classes: also
---those of the list that have no folder. unlabelled: pictures of no class.
---corruption, severity: what was done to the files. factors: ImageNet-X's JSON
---lines; prototypes: CSV with a column file_name of images to leave out.
---limit: the first so many images, per_class: of each class; 0: all.
---@param o { dir: string, classes?: string, all_classes?: boolean, unlabelled?: boolean, corruption?: string, severity?: integer, factors?: string, prototypes?: string, depth?: string, name?: string, limit?: integer, per_class?: integer }
---@return mohs.Data
function mohs.data.folder(o) end
---One data set a folder corruption/severity (ImageNet-C, ImageNet-3DCC), or the
---same one folder deeper. only: comma list of corruptions.
---@param o { dir: string, only?: string, classes?: string, all_classes?: boolean, name?: string, limit?: integer, per_class?: integer }
---@return mohs.Data[]
function mohs.data.imagenet_c(o) end
---Renders the default data set unless this very set is there; returns `out`.
---@param o { out: string, seed?: integer, size?: integer, train?: integer, val?: integer, test?: integer, captions?: integer }
---@return string
function mohs.data.emoji_scenes(o) end

---Fails unless this API serves scripts written for version `want`.
---@param want string "1.0"
function mohs.require_api(want) end
---The recipe's arguments (key=value on the command line), each of the type of
---its default. An argument that is not listed is an error.
---@generic T: table
---@param defaults T
---@return T
function mohs.args(defaults) end
---A line on stderr.
---@param text string
function mohs.log(text) end

---Opens a checkpoint; without an id, the plugin that recognises it is taken.
---Further fields are the plugin's parameters (`mohs info clip`).
---@param id_or_options string|{ weights: string, label?: string, [string]: any }
---@param options? { weights: string, label?: string, [string]: any }
---@return mohs.Model
function mohs.model(id_or_options, options) end
---@param id string
---@param params? table<string, any>
---@return mohs.Item
function mohs.corruption(id, params) end
---@param id string
---@param params? table<string, any> numbers may be texts such as "4/255"; any attack
---also takes max_queries (forward passes of a sample) and max_seconds (of a cell)
---@return mohs.Item
function mohs.attack(id, params) end
---`mohs info retrieval` says what it takes: `k`, and `rerank`, how many of the first
---candidates a model's matching head ranks anew, by what (`rerank_by`).
---@param id string
---@param params? table<string, any>
---@return mohs.Item
function mohs.metric(id, params) end
---What stands for a class in zero-shot classification. A string: "name" (the
---class name alone), "data" (the templates that came with the data) or a file
---of share/prompts ("photo", "photos", "scenes"). A table, with one source:
---templates or a file of them (one a line, {} or {c} for the class name);
---sentences: JSON {class: [sentence]} (CuPL); descriptors: JSON {class:
---[descriptor]} (DCLIP); random: pairs of a random word, from the file words,
---and random characters (WaffleCLIP: 15). classes: file of class names instead
---of the data's. merge: "embed" (mean embedding, made a unit; the default of
---templates and sentences), "mean" or "max" of similarities.
---@param o string|{ name?: string, templates?: string[], file?: string, sentences?: string, descriptors?: string, random?: integer, words?: string, seed?: integer, classes?: string, merge?: "embed"|"mean"|"max" }
---@return mohs.Prompts
function mohs.prompts(o) end
---What the plugins offer.
---@param kind "model"|"corruption"|"attack"|"metric"
---@return { id: string, summary: string, params: table[] }[]
function mohs.list(kind) end
---Iterates over corruptions (ids or items) at severities low..high (1..5).
---@param list (string|mohs.Item)[]
---@param low? integer
---@param high? integer
---@return fun(): mohs.Item?
function mohs.each(list, low, high) end

---Queues a cell; with prompts, a classification of the data's classes.
---@param o { model?: mohs.Model, data: mohs.Data, metric: mohs.Item, prompts?: mohs.Prompts, corruption?: mohs.Item, attack?: mohs.Item, surrogate?: mohs.Model, fit?: mohs.Data, axes?: table<string, string> }
function mohs.cell(o) end
---Computes what was queued and is not stored yet; all results of this recipe.
---Empty under --plan.
---@return mohs.Result[]
function mohs.run() end
---@class mohs.Robustness
---@field set string what is compared: data, metric
---@field model string
---@field clean number? %
---@field corrupted number? mean over corruptions and severities, %
---@field drop number? clean - corrupted, points
---@field mrr number? corrupted in % of clean, mean over corruptions
---@field mmi number? 100 - mrr
---@field mce number? summed errors in % of the baseline's, mean over corruptions
---@field relative_mce number? the same of errors above the clean error
---@field relative number? corrupted minus the baseline's, points
---@field effective number? corrupted minus what the line of `fit` predicts, points
---@field corruptions table<string, table> by corruption: scores 1..5, mean, rr, ce, relative_ce

---The field's numbers of the corrupted cells that run() has computed. value:
---a percentage, top1 or mean_recall; baseline: label of a model, or "alexnet"
---(published, top1 on ImageNet-C only); fit: comma list of models for the line
---of effective robustness; only: comma list of corruptions in the means,
---"common" (the 15 of ImageNet-C) or "all".
---@param o? { value?: string, baseline?: string, fit?: string, only?: string }
---@return mohs.Robustness[]
function mohs.robustness(o) end
---Writes a report when the recipe has ended.
---@param o { out: string, title?: string }
function mohs.report(o) end
---True under --plan.
---@return boolean
function mohs.planning() end
---Path of the results file.
---@return string
function mohs.results_path() end

---Learns a byte-level BPE from captions: a tokenizer.json text and its number
---of entries.
---@param o { data: mohs.Data, size?: integer }
---@return string, integer
function mohs.tokenizer(o) end
---Trains a model, resumes it, or finds it done; returns `out`. fork: runs that
---are equal but for an adversary that starts at this step or later do their
---first `fork` steps once; the state lies beside `out`. Losses tecoa and fare
---fine-tune the image tower of `init`: against class prompts made from `prompt`
---("This is a photo of a {}"; the data needs classes), or against the embeddings
---of `init` for clean pictures. What is left out of config, tokenizer and
---preprocessor comes from `init`.
---@param o { model?: string, config?: table|string, tokenizer?: string, preprocessor?: table|string, init?: string, data: mohs.Data, validate?: mohs.Data, out: string, label?: string, f16?: boolean, steps?: integer, batch?: integer, warmup?: integer, lr?: number, beta1?: number, beta2?: number, eps?: number, weight_decay?: number, clip_norm?: number, ema?: number, seed?: integer, loss?: "clip"|"sigmoid"|"tecoa"|"fare", prompt?: string, crop?: number, flip?: boolean, log_every?: integer, validate_every?: integer, checkpoint_every?: integer, fork?: integer, adversary?: mohs.Adversary|mohs.AttackAdversary }
---@return string
function mohs.train(o) end

---@class mohs.Adversary
---@field kind? "gradient"|"noise" noise: random, of the same norm
---@field taps? string comma list, "image.patch,text.token"
---@field norm? "l2"|"linf" relative to the norm, or the deviation, of what is there
---@field per_sample? boolean one ball a sample instead of one a token
---@field eps? number relative radius
---@field alpha? number relative step; 0: 1.5 eps / steps
---@field steps? integer steps up the loss
---@field kl? number weight of the symmetric KL to the clean similarities
---@field random_start? boolean
---@field alternate? boolean image taps on even steps, text taps on odd ones
---@field average? boolean parameter gradients averaged over the steps (FreeLB)
---@field clean? number weight of the clean loss, 1
---@field start? integer clean until this step
---@field ramp? integer steps over which eps grows

---An attack plugin as the adversary: any whose taps are of one tower.
---@class mohs.AttackAdversary
---@field attack mohs.Item from mohs.attack
---@field kl? number weight of the symmetric KL to the clean similarities
---@field clean? number weight of the clean loss, 1; 0: adversarial pictures only
---@field start? integer clean until this step

---Mean of an array of numbers.
---@param list number[]
---@return number
function mohs.mean(list) end
---What was done to the inputs of a result: "clean", or the corruption or attack.
---@param r mohs.Result
---@return string
function mohs.condition(r) end
---A text table of value `name`: a row per condition, a column per model, or
---per model and prompts.
---@param results mohs.Result[]
---@param name string
---@return string
function mohs.table(results, name) end

---A text table of what robustness() returned.
---@param rows mohs.Robustness[]
---@return string
function mohs.robustness_table(rows) end

return mohs
