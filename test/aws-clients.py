"""The service as boto3 sees it: a function a family, named by the argument. Run by aws-clients.test.ts."""

import datetime
import hashlib
import json
import sys

import boto3
from botocore.exceptions import ClientError

endpoint, family = sys.argv[1:]
kms = boto3.client("kms", endpoint_url=endpoint)


def new_key(**options):
    return kms.create_key(**options)["KeyMetadata"]["KeyId"]


def refused(name, call, **options):
    try:
        call(**options)
    except ClientError as error:
        assert error.response["Error"]["Code"] == name, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error
        assert error.response["ResponseMetadata"]["RetryAttempts"] == 0, error
        modelled = getattr(kms.exceptions, name, None) if name in dir(kms.exceptions) else None
        assert modelled is None or isinstance(error, modelled), error
        return error.response["Error"]["Message"]
    raise AssertionError(f"was not refused with {name}")


def keys():
    metadata = kms.create_key(Description="of boto3 ሴ")["KeyMetadata"]
    key = metadata["KeyId"]
    assert isinstance(metadata["CreationDate"], datetime.datetime)
    assert kms.describe_key(KeyId=metadata["Arn"])["KeyMetadata"] == metadata
    kms.disable_key(KeyId=key)
    refused("DisabledException", kms.encrypt, KeyId=key, Plaintext=b"x")
    kms.enable_key(KeyId=key)
    kms.update_key_description(KeyId=key, Description="changed")
    deleted = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert deleted["KeyState"] == "PendingDeletion" and deleted["DeletionDate"] > metadata["CreationDate"]
    refused("KMSInvalidStateException", kms.enable_key, KeyId=key)
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    new_key(), new_key()
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1}))
    listed = [entry["KeyId"] for page in pages for entry in page["Keys"]]
    assert key in listed and len(listed) == len(set(listed)) == len(pages)
    refused("NotFoundException", kms.describe_key, KeyId="alias/none")


def aliases():
    one, two = new_key(), new_key()
    name = f"alias/{one}"
    kms.create_alias(AliasName=name, TargetKeyId=one)
    refused("AlreadyExistsException", kms.create_alias, AliasName=name, TargetKeyId=two)
    kms.update_alias(AliasName=name, TargetKeyId=two)
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == two
    assert [alias["AliasName"] for alias in kms.list_aliases(KeyId=two)["Aliases"]] == [name]
    kms.delete_alias(AliasName=name)
    refused("NotFoundException", kms.describe_key, KeyId=name)


def encryption():
    one, two = new_key(), new_key()
    context = {"tenant": "ü"}
    sealed = kms.encrypt(KeyId=one, Plaintext=bytes(range(256)), EncryptionContext=context)
    blob = sealed["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == bytes(range(256))
    refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob)
    refused("IncorrectKeyException", kms.decrypt, CiphertextBlob=blob, EncryptionContext=context, KeyId=two)
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=two)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == bytes(range(256))
    rsa = new_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    options = {"KeyId": rsa, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    blob = kms.encrypt(Plaintext=b"rsa", **options)["CiphertextBlob"]
    assert len(blob) == 256 and kms.decrypt(CiphertextBlob=blob, **options)["Plaintext"] == b"rsa"
    message = refused("ValidationException", kms.generate_random, NumberOfBytes=1025)
    assert message.startswith("1 validation error detected: Value '1025' at 'numberOfBytes'"), message


def data_keys():
    key = new_key()
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    assert "Plaintext" not in kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=16)
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"]
    assert opened == pair["PrivateKeyPlaintext"]
    pair = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="RSA_2048")
    assert "PrivateKeyPlaintext" not in pair and len(pair["PublicKey"]) == 294
    assert len(kms.generate_random(NumberOfBytes=24)["Plaintext"]) == 24


def signatures():
    for spec, algorithm in [("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_SECG_P256K1", "ECDSA_SHA_256")]:
        options = {"KeyId": new_key(KeySpec=spec, KeyUsage="SIGN_VERIFY"), "SigningAlgorithm": algorithm}
        signature = kms.sign(Message=b"message", **options)["Signature"]
        digest = hashlib.sha256(b"message").digest()
        verified = kms.verify(Message=digest, MessageType="DIGEST", Signature=signature, **options)
        assert verified["SignatureValid"] is True
        refused("KMSInvalidSignatureException", kms.verify, Message=b"other", Signature=signature, **options)
        assert kms.get_public_key(KeyId=options["KeyId"])["SigningAlgorithms"].count(algorithm) == 1


def macs():
    key = new_key(KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")
    options = {"KeyId": key, "Message": b"message", "MacAlgorithm": "HMAC_SHA_384"}
    mac = kms.generate_mac(**options)["Mac"]
    assert len(mac) == 48 and kms.verify_mac(Mac=mac, **options)["MacValid"] is True
    refused("KMSInvalidMacException", kms.verify_mac, Mac=bytes(48), **options)


def grants():
    key = new_key()
    root = boto3.client("sts", endpoint_url=endpoint).get_caller_identity()["Arn"]
    given = {"KeyId": key, "GranteePrincipal": root, "RetiringPrincipal": root, "Operations": ["Decrypt"]}
    made = [kms.create_grant(**given, Name=str(i)) for i in range(3)]
    pages = kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 2})
    assert len([grant for page in pages for grant in page["Grants"]]) == 3
    assert len(kms.list_retirable_grants(RetiringPrincipal=root)["Grants"]) == 3
    kms.retire_grant(GrantToken=made[0]["GrantToken"])
    kms.retire_grant(KeyId=kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"], GrantId=made[1]["GrantId"])
    kms.revoke_grant(KeyId=key, GrantId=made[2]["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []


def tags():
    key = new_key(Tags=[{"TagKey": "a", "TagValue": "1"}])
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "ü"}])
    kms.untag_resource(KeyId=key, TagKeys=["a"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "b", "TagValue": "ü"}]
    refused("TagException", kms.tag_resource, KeyId=key, Tags=[{"TagKey": "aws:a", "TagValue": ""}])


def policies():
    key = new_key()
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    policy["Id"] = "boto3"
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    assert json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]) == policy
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key, PolicyName="default", Policy="{}")


def rotation():
    key = new_key()
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def importing():
    key = new_key(Origin="EXTERNAL")
    given = {"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    parameters = kms.get_parameters_for_import(**given)
    assert isinstance(parameters["ParametersValidTo"], datetime.datetime)
    foreign = {"EncryptedKeyMaterial": bytes(256), "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    call = {"KeyId": key, "ImportToken": parameters["ImportToken"], **foreign}
    refused("InvalidCiphertextException", kms.import_key_material, **call)
    refused("InvalidImportTokenException", kms.import_key_material, **{**call, "ImportToken": b"forged"})


globals()[family]()
print(f"{family} as told")
